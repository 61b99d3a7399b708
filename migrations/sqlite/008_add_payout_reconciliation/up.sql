-- What comparing with Stripe found. No foreign key to a platform table, as in 006.

-- One row for each comparison that ran to its end: last month's can be shown again.
CREATE TABLE "payout_reconciliations" (
    "run_id" TEXT NOT NULL,
    -- Open where nothing was said.
    "period_from" TEXT,
    "period_until" TEXT,
    -- Transfers that Stripe lists in the period, and their sum in minor units.
    "transfer_count" INTEGER NOT NULL,
    "transfer_cents" INTEGER NOT NULL,
    "matched_count" INTEGER NOT NULL,
    "reversed_cents" INTEGER NOT NULL,
    -- Payouts recorded as paid in the period, and their sum in minor units.
    "payout_count" INTEGER NOT NULL,
    "payout_cents" INTEGER NOT NULL,
    "open_count" INTEGER NOT NULL,
    "fixed_count" INTEGER NOT NULL,
    "accepted_count" INTEGER NOT NULL,
    "clean" INTEGER NOT NULL CHECK ("clean" IN (0, 1)),
    "finished_at" TEXT NOT NULL,

    CONSTRAINT "payout_reconciliations_pkey" PRIMARY KEY ("run_id"),
    CONSTRAINT "payout_reconciliations_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;

-- One row for each discrepancy. The id is made from what it is about, so that the
-- same one seen again is the same row.
CREATE TABLE "payout_findings" (
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "payout_id" TEXT,
    "attempt" INTEGER,
    "transfer_id" TEXT,
    "expected" TEXT,
    "found" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "first_seen_at" TEXT NOT NULL,
    -- The last run that saw it.
    "seen_at" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "settled_at" TEXT,
    "actor" TEXT,
    "reason" TEXT,

    CONSTRAINT "payout_findings_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "payout_findings_kind_check" CHECK ("kind" IN ('two_transfers', 'two_payouts', 'mode_differs', 'currency_differs', 'amount_differs', 'destination_differs', 'unresolved', 'forgotten_payout', 'status_behind', 'missing_at_stripe', 'payout_deleted', 'metadata_differs', 'reversed_fully', 'reversed_partly', 'statement_not_marked', 'unknown_transfer', 'odd_entry')),
    CONSTRAINT "payout_findings_state_check" CHECK ("state" IN ('open', 'fixed', 'accepted')),
    CONSTRAINT "payout_findings_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;
CREATE INDEX "payout_findings_run_id_idx" ON "payout_findings" ("run_id", "kind", "id");
CREATE INDEX "payout_findings_payout_id_idx" ON "payout_findings" ("payout_id");
CREATE INDEX "payout_findings_transfer_id_idx" ON "payout_findings" ("transfer_id");

-- What was taken back of a transfer at Stripe. The payout stays COMPLETED.
CREATE TABLE "payout_reversals" (
    "transfer_id" TEXT NOT NULL,
    "payout_id" TEXT NOT NULL,
    "amount_reversed_cents" INTEGER NOT NULL,
    "seen_at" TEXT NOT NULL,

    CONSTRAINT "payout_reversals_pkey" PRIMARY KEY ("transfer_id"),
    CONSTRAINT "payout_reversals_amount_check" CHECK ("amount_reversed_cents" > 0)
) STRICT;
CREATE INDEX "payout_reversals_payout_id_idx" ON "payout_reversals" ("payout_id");

-- How that grew, for reports of a period: a row for each time that more was seen.
CREATE TABLE "payout_reversal_steps" (
    "transfer_id" TEXT NOT NULL,
    "amount_reversed_cents" INTEGER NOT NULL,
    "payout_id" TEXT NOT NULL,
    "seen_at" TEXT NOT NULL,

    CONSTRAINT "payout_reversal_steps_pkey" PRIMARY KEY ("transfer_id", "amount_reversed_cents")
) STRICT;
CREATE INDEX "payout_reversal_steps_payout_id_idx" ON "payout_reversal_steps" ("payout_id");
