-- Only reached when none of these tables holds a row that matters.
DROP TABLE "payout_reversal_steps";
DROP TABLE "payout_reversals";
DROP TABLE "payout_reconciliation_progress";
DROP TABLE "payout_reconciliation_findings";
DROP TABLE "payout_findings";
DROP TABLE "payout_reconciliations";
