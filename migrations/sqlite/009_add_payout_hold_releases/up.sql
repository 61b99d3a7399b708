-- Holds that were lifted. A hold itself stands in payout_holds; here stays who
-- had set it and why, and who let go, in which run.
CREATE TABLE "payout_hold_releases" (
    "kind" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "held_by" TEXT NOT NULL,
    "held_at" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "released_by" TEXT NOT NULL,
    "released_at" TEXT NOT NULL,
    "note" TEXT,

    CONSTRAINT "payout_hold_releases_pkey" PRIMARY KEY ("kind", "target", "run_id"),
    CONSTRAINT "payout_hold_releases_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "payout_runs" ("id"),
    CONSTRAINT "payout_hold_releases_kind_check" CHECK ("kind" IN ('payout', 'creator', 'batch', 'all'))
) STRICT;
