DROP TABLE "payout_hold_releases";
