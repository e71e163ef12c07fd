ALTER TABLE `keys` ADD `previous_hash` blob;--> statement-breakpoint
ALTER TABLE `keys` ADD `previous_until` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `keys_previous_hash_unique` ON `keys` (`previous_hash`);