-- What drizzle's schema cannot say: how tables are stored and cleaned up.
--
-- Hot rows. A charge writes a new version of each row that it touches. Half of each page stays free for these, so that a new
-- version lies beside the old one, no index is touched (a heap-only tuple), and the room is used again by the next charge.
ALTER TABLE "counters" SET (
	fillfactor = 50,
	autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0,
	autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 0.05
);--> statement-breakpoint
ALTER TABLE "in_flight" SET (
	fillfactor = 50,
	autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0
);--> statement-breakpoint
ALTER TABLE "replicas" SET (
	fillfactor = 50,
	autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0
);--> statement-breakpoint
ALTER TABLE "usage_hourly" SET (
	fillfactor = 80,
	autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02
);--> statement-breakpoint
-- Rows come and go with each call, and few are there at a time. To give room back to the disk would lock out all calls, and
-- the next ones need it.
ALTER TABLE "holds" SET (
	vacuum_truncate = false,
	autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0,
	autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0
);--> statement-breakpoint
-- As many rows go at one end as come at the other: what went is cleaned up long before a fifth of the table is gone.
ALTER TABLE "calls" SET (
	vacuum_truncate = false,
	autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
	autovacuum_analyze_scale_factor = 0.05
);--> statement-breakpoint
ALTER TABLE "charged_objects" SET (
	autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02
);
