-- Only reached when this tool made all four and none holds a row.
DROP TABLE "royalty_statements";
DROP TABLE "royalty_runs";
DROP TABLE "creators";
DROP TABLE "users";
DROP TYPE "RoyaltyStatementStatus";
DROP TYPE "RoyaltyRunStatus";
DROP TABLE "payout_own_tables";
