-- When somebody looked at Stripe for a payout in doubt, and what there was: a
-- person may let go of an attempt only on look-ups that are on record here. Of a
-- row without an attempt, the attempt that letting go of it would write is meant.
CREATE TABLE "payout_lookups" (
    "payout_id" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "begun_at" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "stripe_account" TEXT NOT NULL,
    "livemode" INTEGER NOT NULL CHECK ("livemode" IN (0, 1)),
    "found" TEXT NOT NULL,
    "detail" TEXT,

    CONSTRAINT "payout_lookups_pkey" PRIMARY KEY ("payout_id", "attempt", "begun_at"),
    CONSTRAINT "payout_lookups_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id"),
    CONSTRAINT "payout_lookups_found_check" CHECK ("found" IN ('nothing', 'misfit'))
) STRICT;
