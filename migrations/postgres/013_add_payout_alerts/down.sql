DROP INDEX "payout_attempts_surplus_idx";
DROP TABLE "payout_alerts";
