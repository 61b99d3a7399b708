-- The tool's own tables. None of them holds a foreign key to a platform table:
-- the ledger must outlive a deleted row, and must never refuse a platform's delete.

-- Facts there is one of: the database's own id, the stamp (Stripe account,
-- mode, currency), the rollback guard's watermark.
CREATE TABLE "payout_settings" (
    "key" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "updated_at" TEXT NOT NULL,

    CONSTRAINT "payout_settings_pkey" PRIMARY KEY ("key")
) STRICT;

-- One row for each run of a command that writes.
CREATE TABLE "payout_runs" (
    "id" TEXT NOT NULL,
    "command" TEXT NOT NULL,
    "arguments" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "started_at" TEXT NOT NULL,
    -- The last sign of life; older than the lease, the run counts as dead.
    "seen_at" TEXT NOT NULL,
    "ended_at" TEXT,
    "exit_code" INTEGER,
    "summary" TEXT,
    -- SHA-256 over the history heads this run wrote, so that a cut-off tail shows.
    "heads_hash" TEXT,

    CONSTRAINT "payout_runs_pkey" PRIMARY KEY ("id")
) STRICT;
CREATE INDEX "payout_runs_started_at_idx" ON "payout_runs" ("started_at");

-- A file that was loaded; its hash makes loading it again a no-op.
CREATE TABLE "payout_batches" (
    "id" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "payout_count" INTEGER NOT NULL,
    "total_cents" INTEGER NOT NULL,
    "actor" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,

    CONSTRAINT "payout_batches_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "payout_batches_sha256_key" UNIQUE ("sha256"),
    CONSTRAINT "payout_batches_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;

-- Where each payout that this tool created came from. A payout without a row
-- here was written by other software.
CREATE TABLE "payout_batch_items" (
    "payout_id" TEXT NOT NULL,
    "batch_id" TEXT,
    "line" INTEGER,
    "reference" TEXT,

    CONSTRAINT "payout_batch_items_pkey" PRIMARY KEY ("payout_id"),
    CONSTRAINT "payout_batch_items_reference_key" UNIQUE ("reference"),
    CONSTRAINT "payout_batch_items_batch_id_fkey" FOREIGN KEY ("batch_id") REFERENCES "payout_batches" ("id")
) STRICT;
CREATE INDEX "payout_batch_items_batch_id_idx" ON "payout_batch_items" ("batch_id", "line");

-- What must not be paid for now, and why. Kind 'all' (target '') is the kill switch.
CREATE TABLE "payout_holds" (
    "kind" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    -- From then on it holds nothing any more; open where somebody must let go.
    "ends_at" TEXT,

    CONSTRAINT "payout_holds_pkey" PRIMARY KEY ("kind", "target"),
    CONSTRAINT "payout_holds_kind_check" CHECK ("kind" IN ('payout', 'creator', 'batch', 'all'))
) STRICT;

-- Who agreed to which payout, and to what of it: when the row says something else, it counts no more.
CREATE TABLE "payout_approvals" (
    "payout_id" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "creator_id" TEXT NOT NULL,
    "amount_cents" INTEGER NOT NULL,
    "destination" TEXT NOT NULL,
    "reason" TEXT,
    "run_id" TEXT NOT NULL,
    "approved_at" TEXT NOT NULL,

    CONSTRAINT "payout_approvals_pkey" PRIMARY KEY ("payout_id", "actor"),
    CONSTRAINT "payout_approvals_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;

-- The attempt ledger: committed before the first byte goes out.
CREATE TABLE "payout_attempts" (
    "payout_id" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "idempotency_key" TEXT NOT NULL,
    -- The exact form body; a resend repeats these bytes.
    "body" TEXT NOT NULL,
    "amount_cents" INTEGER NOT NULL,
    "currency" TEXT NOT NULL,
    "destination" TEXT NOT NULL,
    "transfer_group" TEXT NOT NULL,
    -- What it pays for: the row can be changed or deleted by other software, the money cannot be unsent.
    "royalty_statement_id" TEXT,
    "stripe_account" TEXT NOT NULL,
    "livemode" INTEGER NOT NULL CHECK ("livemode" IN (0, 1)),
    "api_version" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "created_at" TEXT NOT NULL,
    -- In Stripe's time; never later than the first byte.
    "first_sent_at" TEXT NOT NULL,
    "last_sent_at" TEXT,
    "send_count" INTEGER NOT NULL DEFAULT 0,
    -- A replayed 500 was seen: resending can tell nothing any more.
    "stored_error" INTEGER NOT NULL DEFAULT 0 CHECK ("stored_error" IN (0, 1)),
    "settled_at" TEXT,
    "http_status" INTEGER,
    "error_type" TEXT,
    "error_code" TEXT,
    "error_message" TEXT,
    "request_id" TEXT,
    "replayed" INTEGER NOT NULL DEFAULT 0 CHECK ("replayed" IN (0, 1)),
    "transfer_id" TEXT,

    CONSTRAINT "payout_attempts_pkey" PRIMARY KEY ("payout_id", "attempt"),
    CONSTRAINT "payout_attempts_idempotency_key_key" UNIQUE ("idempotency_key"),
    CONSTRAINT "payout_attempts_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id"),
    CONSTRAINT "payout_attempts_outcome_check" CHECK ("outcome" IN ('sending', 'unknown', 'paid', 'declined', 'not_sent', 'released', 'surplus'))
) STRICT;
-- The database itself forbids a second attempt that may have moved money.
CREATE UNIQUE INDEX "payout_attempts_open_key" ON "payout_attempts" ("payout_id")
    WHERE "outcome" IN ('sending', 'unknown', 'paid');
CREATE INDEX "payout_attempts_unresolved_idx" ON "payout_attempts" ("payout_id")
    WHERE "outcome" IN ('sending', 'unknown');
CREATE INDEX "payout_attempts_transfer_id_idx" ON "payout_attempts" ("transfer_id")
    WHERE "transfer_id" IS NOT NULL;
CREATE INDEX "payout_attempts_royalty_statement_id_idx" ON "payout_attempts" ("royalty_statement_id")
    WHERE "royalty_statement_id" IS NOT NULL;
CREATE INDEX "payout_attempts_error_code_idx" ON "payout_attempts" ("error_code")
    WHERE "error_code" IS NOT NULL;

-- The evidence: every answer to every send, as it came.
CREATE TABLE "payout_answers" (
    "payout_id" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "send" INTEGER NOT NULL,
    "sent_at" TEXT NOT NULL,
    "answered_at" TEXT NOT NULL,
    "http_status" INTEGER,
    "request_id" TEXT,
    "replayed" INTEGER NOT NULL CHECK ("replayed" IN (0, 1)),
    "verdict" TEXT NOT NULL,
    -- The first 4 KB of the answer, or what went wrong instead of one.
    "body" TEXT NOT NULL,

    CONSTRAINT "payout_answers_pkey" PRIMARY KEY ("payout_id", "attempt", "send"),
    CONSTRAINT "payout_answers_attempt_fkey" FOREIGN KEY ("payout_id", "attempt") REFERENCES "payout_attempts" ("payout_id", "attempt")
) STRICT;
CREATE INDEX "payout_answers_request_id_idx" ON "payout_answers" ("request_id");

-- One payout in flight for each statement.
CREATE TABLE "payout_statement_claims" (
    "statement_id" TEXT NOT NULL,
    "payout_id" TEXT NOT NULL,

    CONSTRAINT "payout_statement_claims_pkey" PRIMARY KEY ("statement_id")
) STRICT;
CREATE INDEX "payout_statement_claims_payout_id_idx" ON "payout_statement_claims" ("payout_id");

-- Every change of a payout and who made it; each row's hash covers the row before.
CREATE TABLE "payout_history" (
    "payout_id" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "event" TEXT NOT NULL,
    "from_status" TEXT,
    "to_status" TEXT NOT NULL,
    "at" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "reason" TEXT,
    "hash" TEXT NOT NULL,

    CONSTRAINT "payout_history_pkey" PRIMARY KEY ("payout_id", "seq")
) STRICT;

CREATE TABLE "payout_history_heads" (
    "payout_id" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "hash" TEXT NOT NULL,

    CONSTRAINT "payout_history_heads_pkey" PRIMARY KEY ("payout_id")
) STRICT;

CREATE TRIGGER "payout_history_no_update" BEFORE UPDATE ON "payout_history"
BEGIN
    SELECT RAISE(ABORT, 'payout_history is append-only: UPDATE refused');
END;

-- INSERT OR REPLACE deletes the row that is in its way without firing a trigger for it.
CREATE TRIGGER "payout_history_no_replace" BEFORE INSERT ON "payout_history"
WHEN EXISTS (SELECT 1 FROM "payout_history" WHERE "payout_id" = NEW."payout_id" AND "seq" = NEW."seq")
BEGIN
    SELECT RAISE(ABORT, 'payout_history is append-only: this row exists already');
END;

CREATE TRIGGER "payout_history_no_delete" BEFORE DELETE ON "payout_history"
BEGIN
    SELECT RAISE(ABORT, 'payout_history is append-only: DELETE refused');
END;
