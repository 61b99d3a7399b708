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
    -- What was compared with: Stripe itself, or a file of this name.
    "source" TEXT NOT NULL,
    "file" TEXT,
    -- What the lines of the balance say of the period, minor units; null where they were not read.
    "balance_transfer_cents" INTEGER,
    "balance_reversed_cents" INTEGER,
    -- Of the open findings, those that were found before this comparison began.
    "open_before_count" INTEGER NOT NULL,

    CONSTRAINT "payout_reconciliations_pkey" PRIMARY KEY ("run_id"),
    CONSTRAINT "payout_reconciliations_source_check" CHECK ("source" IN ('stripe', 'file')),
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
    -- What else it is about: a statement, a day.
    "subject" TEXT,
    -- Money that may be lost, owed or paid twice, minor units of the database's currency.
    "at_stake_cents" INTEGER,
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
    CONSTRAINT "payout_findings_kind_check" CHECK ("kind" IN ('two_transfers', 'two_payouts', 'mode_differs', 'currency_differs', 'amount_differs', 'destination_differs', 'unresolved', 'forgotten_payout', 'status_behind', 'missing_at_stripe', 'payout_deleted', 'metadata_differs', 'reversed_fully', 'reversed_partly', 'balance_differs', 'statement_not_marked', 'statement_reversed', 'unknown_transfer', 'odd_entry')),
    CONSTRAINT "payout_findings_state_check" CHECK ("state" IN ('open', 'fixed', 'accepted')),
    CONSTRAINT "payout_findings_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;
CREATE INDEX "payout_findings_run_id_idx" ON "payout_findings" ("run_id", "kind", "id");
CREATE INDEX "payout_findings_payout_id_idx" ON "payout_findings" ("payout_id");
CREATE INDEX "payout_findings_transfer_id_idx" ON "payout_findings" ("transfer_id");

-- Each finding as it stood at the end of a comparison: those open, and what else that run
-- saw. Rows are written once.
CREATE TABLE "payout_reconciliation_findings" (
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "payout_id" TEXT,
    "attempt" INTEGER,
    "transfer_id" TEXT,
    "subject" TEXT,
    "at_stake_cents" INTEGER,
    "expected" TEXT,
    "found" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "first_seen_at" TEXT NOT NULL,
    "seen_at" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "settled_at" TEXT,
    "actor" TEXT,
    "reason" TEXT,

    CONSTRAINT "payout_reconciliation_findings_pkey" PRIMARY KEY ("run_id", "id"),
    CONSTRAINT "payout_reconciliation_findings_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;

-- How far a comparison got that has not ended, so that another run goes on from there.
CREATE TABLE "payout_reconciliation_progress" (
    "run_id" TEXT NOT NULL,
    "period_from" TEXT,
    "period_until" TEXT,
    "saved_at" TEXT NOT NULL,
    -- What was read and counted, as JSON; and which transfers were seen, added up.
    "progress" TEXT NOT NULL,
    "seen" BLOB NOT NULL,

    CONSTRAINT "payout_reconciliation_progress_pkey" PRIMARY KEY ("run_id"),
    CONSTRAINT "payout_reconciliation_progress_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id")
) STRICT;

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
