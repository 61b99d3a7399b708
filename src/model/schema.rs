// @generated automatically by Diesel CLI.

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    creators (id) {
        id -> Text,
        #[sql_name = "userId"]
        user_id -> Text,
        #[sql_name = "stageName"]
        stage_name -> Text,
        #[sql_name = "stripeAccountId"]
        stripe_account_id -> Nullable<Text>,
        #[sql_name = "onboardingStatus"]
        onboarding_status -> Text,
        #[sql_name = "verificationStatus"]
        verification_status -> Text,
        #[sql_name = "deletedAt"]
        deleted_at -> Nullable<Timestamp>,
        #[sql_name = "createdAt"]
        created_at -> Timestamp,
        #[sql_name = "updatedAt"]
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_account_states (stripe_account, livemode) {
        stripe_account -> Text,
        livemode -> Bool,
        transfers -> Text,
        disabled_reason -> Nullable<Text>,
        as_of -> Timestamp,
        event_id -> Text,
        seen_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_alerts (code, raised_at) {
        code -> Text,
        raised_at -> Timestamp,
        severity -> Text,
        found -> Text,
        seen_at -> Timestamp,
        told_at -> Timestamp,
        told_count -> Int8,
        told_cents -> Int8,
        cleared_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_answers (payout_id, attempt, send) {
        payout_id -> Text,
        attempt -> Int4,
        send -> Int4,
        sent_at -> Timestamp,
        answered_at -> Timestamp,
        http_status -> Nullable<Int4>,
        request_id -> Nullable<Text>,
        replayed -> Bool,
        verdict -> Text,
        body -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_approvals (payout_id, actor) {
        payout_id -> Text,
        actor -> Text,
        creator_id -> Text,
        amount_cents -> Int4,
        destination -> Text,
        reason -> Nullable<Text>,
        run_id -> Text,
        approved_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_attempts (payout_id, attempt) {
        payout_id -> Text,
        attempt -> Int4,
        idempotency_key -> Text,
        body -> Text,
        amount_cents -> Int4,
        currency -> Text,
        destination -> Text,
        transfer_group -> Text,
        royalty_statement_id -> Nullable<Text>,
        stripe_account -> Text,
        livemode -> Bool,
        api_version -> Text,
        run_id -> Text,
        outcome -> Text,
        created_at -> Timestamp,
        first_sent_at -> Timestamp,
        last_sent_at -> Nullable<Timestamp>,
        send_count -> Int4,
        stored_error -> Bool,
        settled_at -> Nullable<Timestamp>,
        http_status -> Nullable<Int4>,
        error_type -> Nullable<Text>,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        request_id -> Nullable<Text>,
        replayed -> Bool,
        transfer_id -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_batch_items (payout_id) {
        payout_id -> Text,
        batch_id -> Nullable<Text>,
        line -> Nullable<Int4>,
        reference -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_batches (id) {
        id -> Text,
        source -> Text,
        sha256 -> Text,
        payout_count -> Int4,
        total_cents -> Int8,
        actor -> Text,
        run_id -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_event_pulls (stripe_account, livemode) {
        stripe_account -> Text,
        livemode -> Bool,
        pulled_until -> Timestamp,
        run_id -> Text,
        pulled_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_findings (id) {
        id -> Text,
        kind -> Text,
        payout_id -> Nullable<Text>,
        attempt -> Nullable<Int4>,
        transfer_id -> Nullable<Text>,
        subject -> Nullable<Text>,
        at_stake_cents -> Nullable<Int8>,
        expected -> Nullable<Text>,
        found -> Text,
        state -> Text,
        first_seen_at -> Timestamp,
        seen_at -> Timestamp,
        run_id -> Text,
        settled_at -> Nullable<Timestamp>,
        actor -> Nullable<Text>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_history (payout_id, seq) {
        payout_id -> Text,
        seq -> Int4,
        event -> Text,
        from_status -> Nullable<Text>,
        to_status -> Text,
        at -> Timestamp,
        actor -> Text,
        run_id -> Text,
        reason -> Nullable<Text>,
        hash -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_history_heads (payout_id) {
        payout_id -> Text,
        seq -> Int4,
        hash -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_hold_releases (kind, target, run_id) {
        kind -> Text,
        target -> Text,
        reason -> Text,
        held_by -> Text,
        held_at -> Timestamp,
        run_id -> Text,
        released_by -> Text,
        released_at -> Timestamp,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_holds (kind, target) {
        kind -> Text,
        target -> Text,
        reason -> Text,
        actor -> Text,
        created_at -> Timestamp,
        ends_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_lookups (payout_id, attempt, begun_at) {
        payout_id -> Text,
        attempt -> Int4,
        begun_at -> Timestamp,
        run_id -> Text,
        stripe_account -> Text,
        livemode -> Bool,
        found -> Text,
        detail -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_notification_switches (kind, creator_id) {
        kind -> Text,
        creator_id -> Text,
        is_on -> Bool,
        changed_at -> Timestamp,
        run_id -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_notifications (id) {
        id -> Text,
        kind -> Text,
        about -> Text,
        recipient -> Nullable<Text>,
        subject -> Nullable<Text>,
        body -> Nullable<Text>,
        state -> Text,
        created_at -> Timestamp,
        due_at -> Timestamp,
        tries -> Int4,
        run_id -> Nullable<Text>,
        lease_until -> Nullable<Timestamp>,
        reason -> Nullable<Text>,
        settled_at -> Nullable<Timestamp>,
        fingerprint -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_own_tables (name) {
        name -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_reconciliation_findings (run_id, id) {
        id -> Text,
        kind -> Text,
        payout_id -> Nullable<Text>,
        attempt -> Nullable<Int4>,
        transfer_id -> Nullable<Text>,
        subject -> Nullable<Text>,
        at_stake_cents -> Nullable<Int8>,
        expected -> Nullable<Text>,
        found -> Text,
        state -> Text,
        first_seen_at -> Timestamp,
        seen_at -> Timestamp,
        run_id -> Text,
        settled_at -> Nullable<Timestamp>,
        actor -> Nullable<Text>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_reconciliation_progress (run_id) {
        run_id -> Text,
        period_from -> Nullable<Timestamp>,
        period_until -> Nullable<Timestamp>,
        saved_at -> Timestamp,
        progress -> Text,
        seen -> Bytea,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_reconciliations (run_id) {
        run_id -> Text,
        period_from -> Nullable<Timestamp>,
        period_until -> Nullable<Timestamp>,
        transfer_count -> Int8,
        transfer_cents -> Int8,
        matched_count -> Int8,
        reversed_cents -> Int8,
        payout_count -> Int8,
        payout_cents -> Int8,
        open_count -> Int8,
        fixed_count -> Int8,
        accepted_count -> Int8,
        clean -> Bool,
        finished_at -> Timestamp,
        source -> Text,
        file -> Nullable<Text>,
        balance_transfer_cents -> Nullable<Int8>,
        balance_reversed_cents -> Nullable<Int8>,
        open_before_count -> Int8,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_reversal_steps (transfer_id, amount_reversed_cents) {
        transfer_id -> Text,
        amount_reversed_cents -> Int8,
        payout_id -> Text,
        seen_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_reversals (transfer_id) {
        transfer_id -> Text,
        payout_id -> Text,
        amount_reversed_cents -> Int8,
        seen_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_runs (id) {
        id -> Text,
        command -> Text,
        arguments -> Text,
        actor -> Text,
        host -> Text,
        version -> Text,
        started_at -> Timestamp,
        seen_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
        exit_code -> Nullable<Int4>,
        summary -> Nullable<Text>,
        heads_hash -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_settings (key) {
        key -> Text,
        value -> Text,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_statement_claims (statement_id) {
        statement_id -> Text,
        payout_id -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payout_stripe_events (event_id) {
        event_id -> Text,
        kind -> Text,
        object_id -> Nullable<Text>,
        account -> Nullable<Text>,
        livemode -> Bool,
        api_version -> Nullable<Text>,
        created_at -> Timestamp,
        came_by -> Text,
        received_at -> Timestamp,
        snapshot -> Nullable<Text>,
        state -> Text,
        tries -> Int4,
        settled_at -> Nullable<Timestamp>,
        payout_id -> Nullable<Text>,
        outcome -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    payouts (id) {
        id -> Text,
        creator_id -> Text,
        royalty_statement_id -> Nullable<Text>,
        amount_cents -> Int4,
        stripe_transfer_id -> Nullable<Text>,
        status -> PayoutStatus,
        processed_at -> Nullable<Timestamp>,
        failed_reason -> Nullable<Text>,
        retry_count -> Int4,
        last_retry_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    royalty_runs (id) {
        id -> Text,
        period_start -> Timestamp,
        period_end -> Timestamp,
        status -> RoyaltyRunStatus,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    royalty_statements (id) {
        id -> Text,
        royalty_run_id -> Text,
        creator_id -> Text,
        total_earnings_cents -> Int4,
        platform_fee_cents -> Int4,
        net_payable_cents -> Int4,
        status -> RoyaltyStatementStatus,
        disputed_at -> Nullable<Timestamp>,
        paid_at -> Nullable<Timestamp>,
        payment_reference -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::model::native_enum::sql_types::*;

    users (id) {
        id -> Text,
        email -> Text,
        name -> Nullable<Text>,
        #[sql_name = "createdAt"]
        created_at -> Timestamp,
        #[sql_name = "updatedAt"]
        updated_at -> Timestamp,
    }
}

diesel::joinable!(creators -> users (user_id));
diesel::joinable!(payout_approvals -> payout_runs (run_id));
diesel::joinable!(payout_attempts -> payout_runs (run_id));
diesel::joinable!(payout_batch_items -> payout_batches (batch_id));
diesel::joinable!(payout_batches -> payout_runs (run_id));
diesel::joinable!(payout_event_pulls -> payout_runs (run_id));
diesel::joinable!(payout_findings -> payout_runs (run_id));
diesel::joinable!(payout_hold_releases -> payout_runs (run_id));
diesel::joinable!(payout_lookups -> payout_runs (run_id));
diesel::joinable!(payout_notification_switches -> payout_runs (run_id));
diesel::joinable!(payout_notifications -> payout_runs (run_id));
diesel::joinable!(payout_reconciliation_findings -> payout_runs (run_id));
diesel::joinable!(payout_reconciliation_progress -> payout_runs (run_id));
diesel::joinable!(payout_reconciliations -> payout_runs (run_id));
diesel::joinable!(payouts -> creators (creator_id));
diesel::joinable!(payouts -> royalty_statements (royalty_statement_id));
diesel::joinable!(royalty_statements -> creators (creator_id));
diesel::joinable!(royalty_statements -> royalty_runs (royalty_run_id));

diesel::allow_tables_to_appear_in_same_query!(
    creators,
    payout_account_states,
    payout_alerts,
    payout_answers,
    payout_approvals,
    payout_attempts,
    payout_batch_items,
    payout_batches,
    payout_event_pulls,
    payout_findings,
    payout_history,
    payout_history_heads,
    payout_hold_releases,
    payout_holds,
    payout_lookups,
    payout_notification_switches,
    payout_notifications,
    payout_own_tables,
    payout_reconciliation_findings,
    payout_reconciliation_progress,
    payout_reconciliations,
    payout_reversal_steps,
    payout_reversals,
    payout_runs,
    payout_settings,
    payout_statement_claims,
    payout_stripe_events,
    payouts,
    royalty_runs,
    royalty_statements,
    users,
);
