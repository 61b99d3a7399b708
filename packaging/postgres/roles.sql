-- Roles with the fewest rights, for people and machines who work with a database of payouts on PostgreSQL.
--
--   payouts_reader     looks: list, show, report, receipt, doctor, …
--   payouts_operator   looks, creates, pays, retries, reconciles, holds: everything but approving
--   payouts_approver   looks and approves: nothing else
--
-- Whoever owns the tables (the role that ran `payouts migrate`) is none of them and stays the only one who can change
-- the schema, drop a trigger, or rewrite the history. Run this after every `payouts migrate`, always as the same role:
-- that owner, who needs CREATEROLE for it, or a superuser. It may be run again and again, and takes back what it granted
-- before:
--
--   psql --set ON_ERROR_STOP=1 --file roles.sql "$DATABASE_URL"
--
-- The three cannot log in. Give each person and each machine a role of its own, and make it a member of one of them:
--
--   CREATE ROLE ann LOGIN PASSWORD '…' IN ROLE payouts_operator;
--   CREATE ROLE zoe LOGIN PASSWORD '…' IN ROLE payouts_approver;
--
-- Nobody should be both an operator and an approver. Set PAYOUTS_ACTOR_FROM_ROLE=1 for all of them: an approval is
-- taken only under the name of the role that logged in, and nobody writes history or runs under another role's name.
--
-- All of it is in the schema that comes first in the search path.

BEGIN;
SET LOCAL client_min_messages = warning;

DO $$
DECLARE
    role_name TEXT;
BEGIN
    IF to_regclass('payout_attempts') IS NULL THEN
        RAISE EXCEPTION 'there are no tables of payouts in schema %', current_schema()
            USING HINT = 'run `payouts migrate` first, or set search_path';
    END IF;
    -- Two that run this at once would both find a role missing.
    PERFORM pg_advisory_xact_lock(hashtext('payouts roles'));
    FOREACH role_name IN ARRAY ARRAY['payouts_reader', 'payouts_operator', 'payouts_approver'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role_name);
    END LOOP;
END $$;

GRANT payouts_reader TO payouts_operator, payouts_approver;

-- What was granted before, by an older version of this file.
DO $$
DECLARE
    table_name TEXT;
BEGIN
    FOR table_name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
          AND (relname LIKE 'payout\_%' OR relname IN ('users', 'creators', 'royalty_runs', 'royalty_statements', 'payouts'))
    LOOP
        EXECUTE format('REVOKE ALL ON %I FROM payouts_reader, payouts_operator, payouts_approver', table_name);
    END LOOP;
END $$;

-- Reading. Of the platform's tables only the columns that this tool knows: others may be nobody's business.

GRANT SELECT ("id", "email", "name", "createdAt", "updatedAt") ON "users" TO payouts_reader;
GRANT SELECT ("id", "userId", "stageName", "stripeAccountId", "onboardingStatus", "verificationStatus", "deletedAt",
              "createdAt", "updatedAt") ON "creators" TO payouts_reader;
GRANT SELECT ("id", "period_start", "period_end", "status", "created_at", "updated_at") ON "royalty_runs" TO payouts_reader;
GRANT SELECT ("id", "royalty_run_id", "creator_id", "total_earnings_cents", "platform_fee_cents", "net_payable_cents",
              "status", "disputed_at", "paid_at", "payment_reference", "created_at", "updated_at")
    ON "royalty_statements" TO payouts_reader;
GRANT SELECT ("id", "creator_id", "royalty_statement_id", "amount_cents", "stripe_transfer_id", "status", "processed_at",
              "failed_reason", "retry_count", "last_retry_at", "created_at", "updated_at") ON "payouts" TO payouts_reader;
GRANT SELECT ON "__diesel_schema_migrations" TO payouts_reader;

-- Writing to the platform's tables. An amount and a payee are never changed by this tool, so nobody may.

GRANT INSERT, UPDATE ("status", "stripe_transfer_id", "processed_at", "failed_reason", "retry_count", "last_retry_at",
                      "updated_at") ON "payouts" TO payouts_operator;
GRANT UPDATE ("status", "paid_at", "payment_reference", "updated_at") ON "royalty_statements" TO payouts_operator;
-- Not to write it: a lock on a row needs the right to change some column of it.
GRANT UPDATE ("updated_at") ON "payouts" TO payouts_approver;

-- Writing to our own tables, and to those of the platform that `payouts migrate` made itself and imports fill.
DO $$
DECLARE
    one RECORD;
    known CONSTANT TEXT[] := ARRAY[
        -- Written by migrations alone.
        'payout_own_tables'
    ];
    named TEXT[] := known;
BEGIN
    FOR one IN
        SELECT * FROM (VALUES
            -- Added to and never changed: the evidence.
            ('payouts_operator', 'payout_history', 'INSERT'),
            ('payouts_operator', 'payout_answers', 'INSERT'),
            ('payouts_operator', 'payout_batches', 'INSERT'),
            ('payouts_operator', 'payout_hold_releases', 'INSERT'),
            ('payouts_operator', 'payout_reconciliations', 'INSERT'),
            ('payouts_operator', 'payout_reconciliation_findings', 'INSERT'),
            ('payouts_operator', 'payout_reversal_steps', 'INSERT'),
            -- Changed as the work goes on.
            ('payouts_operator', 'payout_runs', 'INSERT, UPDATE (seen_at, ended_at, exit_code, summary, heads_hash)'),
            ('payouts_operator', 'payout_history_heads', 'INSERT, UPDATE (seq, hash)'),
            ('payouts_operator', 'payout_settings', 'INSERT, UPDATE (value, updated_at)'),
            -- A cancelled payout's reference is free again.
            ('payouts_operator', 'payout_batch_items', 'INSERT, UPDATE (reference)'),
            -- Not the payout, the number, the key and the group.
            ('payouts_operator', 'payout_attempts', 'INSERT, UPDATE (body, amount_cents, currency, destination,
                royalty_statement_id, stripe_account, livemode, api_version, run_id, outcome, first_sent_at, last_sent_at,
                send_count, stored_error, settled_at, http_status, error_type, error_code, error_message, request_id,
                replayed, transfer_id)'),
            ('payouts_operator', 'payout_statement_claims', 'INSERT, DELETE'),
            ('payouts_operator', 'payout_holds', 'INSERT, DELETE'),
            ('payouts_operator', 'payout_lookups', 'INSERT, DELETE'),
            ('payouts_operator', 'payout_findings', 'INSERT, UPDATE, DELETE'),
            ('payouts_operator', 'payout_reconciliation_progress', 'INSERT, UPDATE, DELETE'),
            ('payouts_operator', 'payout_reversals', 'INSERT, UPDATE (amount_reversed_cents, seen_at)'),
            ('payouts_operator', 'payout_stripe_events', 'INSERT, UPDATE (state, tries, settled_at, payout_id, outcome,
                snapshot)'),
            ('payouts_operator', 'payout_event_pulls', 'INSERT, UPDATE (pulled_until, run_id, pulled_at)'),
            ('payouts_operator', 'payout_account_states', 'INSERT, UPDATE (transfers, disabled_reason, as_of, event_id,
                seen_at)'),
            ('payouts_operator', 'payout_notifications', 'INSERT, UPDATE, DELETE'),
            ('payouts_operator', 'payout_notification_switches', 'INSERT, UPDATE, DELETE'),
            ('payouts_operator', 'payout_alerts', 'INSERT, UPDATE (found, seen_at, told_at, told_count, told_cents, cleared_at)'),

            ('payouts_approver', 'payout_approvals', 'INSERT, DELETE'),
            ('payouts_approver', 'payout_history', 'INSERT'),
            ('payouts_approver', 'payout_history_heads', 'INSERT, UPDATE (seq, hash)'),
            ('payouts_approver', 'payout_runs', 'INSERT, UPDATE (seen_at, ended_at, exit_code, summary, heads_hash)')
        ) AS rights (grantee, table_name, privileges)
    LOOP
        IF to_regclass(one.table_name) IS NOT NULL THEN
            EXECUTE format('GRANT %s ON %I TO %I', one.privileges, one.table_name, one.grantee);
            named := named || one.table_name;
        END IF;
    END LOOP;

    FOR one IN
        SELECT * FROM (VALUES
            ('users', 'INSERT, UPDATE ("email", "name", "updatedAt")'),
            ('creators', 'INSERT, UPDATE ("stageName", "stripeAccountId", "updatedAt")'),
            ('royalty_runs', 'INSERT'),
            ('royalty_statements', 'INSERT')
        ) AS rights (table_name, privileges)
        WHERE table_name IN (SELECT name FROM payout_own_tables)
    LOOP
        EXECUTE format('GRANT %s ON %I TO payouts_operator', one.privileges, one.table_name);
    END LOOP;

    -- All of ours are read, and one that is new is not forgotten in silence.
    FOR one IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname LIKE 'payout\_%'
    LOOP
        EXECUTE format('GRANT SELECT ON %I TO payouts_reader', one.relname);
        IF one.relname <> ALL (named) THEN
            RAISE WARNING 'only its owner may write to %: this file does not know it', one.relname;
        END IF;
    END LOOP;
END $$;

-- Whose name. They hold for everybody, the owner included, who can disable them. After the row is written and not
-- before: a trigger before it would have a load of a million rows written one by one.

CREATE OR REPLACE FUNCTION "payout_refuse"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'permission denied for table %: %', TG_TABLE_NAME, TG_ARGV[0];
END $$;

DO $$
DECLARE
    another_name CONSTANT TEXT := $rule$left(NEW.actor, 5) = 'role:' AND NEW.actor <> 'role:' || session_user$rule$;
    one RECORD;
BEGIN
    FOR one IN
        SELECT * FROM (VALUES
            -- An approval, in the name of the role that logged in and no other, so that nobody approves for somebody else.
            ('own_name', 'payout_approvals', 'INSERT', $rule$NEW.actor <> 'role:' || session_user$rule$,
             'who approves is the role that logged in (PAYOUTS_ACTOR_FROM_ROLE=1)'),
            -- Names that begin with `role:` are those of roles. So the maker of a payout is who made it.
            ('own_name', 'payout_history', 'INSERT', another_name,
             'this is the name of another role'),
            ('own_name', 'payout_runs', 'INSERT', another_name,
             'this is the name of another role'),
            ('own_run', 'payout_runs', 'UPDATE', $rule$left(OLD.actor, 5) = 'role:' AND OLD.actor <> 'role:' || session_user$rule$,
             'this is the run of another role'),
            -- Who may not make payouts says nothing of them but whether they are approved.
            ('own_job', 'payout_history', 'INSERT', $rule$NEW.event NOT IN ('approved', 'approval_withdrawn')
                AND NOT has_table_privilege('payouts'::regclass, 'INSERT')$rule$,
             'an approver writes approvals alone'),
            -- The account, the mode, the currency and the id stay what they are.
            ('stamp', 'payout_settings', 'UPDATE', $rule$OLD.key NOT IN ('watermark', 'guard_clean_until', 'day_total')$rule$,
             'what a database is stamped with stays')
        ) AS rules (name, table_name, event, refused, why)
    LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %I', 'payout_refuse_' || one.name, one.table_name);
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %I FOR EACH ROW WHEN (%s) EXECUTE FUNCTION "payout_refuse"(%L)',
                       'payout_refuse_' || one.name, one.event, one.table_name, one.refused, one.why);
    END LOOP;
END $$;

COMMIT;
