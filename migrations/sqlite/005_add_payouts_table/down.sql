-- Only reached when this tool made the table and it holds no row.
DROP TABLE "payouts";
