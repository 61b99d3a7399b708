-- Only reached when none of these tables holds a row that matters.
DROP TABLE "payout_history_heads";
DROP TABLE "payout_history";
DROP FUNCTION "payout_history_is_append_only"();
DROP TABLE "payout_statement_claims";
DROP TABLE "payout_answers";
DROP TABLE "payout_attempts";
DROP TABLE "payout_approvals";
DROP TABLE "payout_holds";
DROP TABLE "payout_batch_items";
DROP TABLE "payout_batches";
DROP TABLE "payout_runs";
DROP TABLE "payout_settings";
