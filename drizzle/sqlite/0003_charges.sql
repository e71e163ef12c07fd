ALTER TABLE `calls` ADD `counters` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `holds` ADD `counters` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
-- By hand, from here to the last statement: what was charged before belongs to the counter of each limit whose period and
-- numbers hold the call. Of a limit at most one is live for an instant; the index finds those that a reset has replaced.
CREATE INDEX `counters_retired` ON `counters` (`limit_id`) WHERE `retired_seq` IS NOT NULL;--> statement-breakpoint
UPDATE `calls` SET `counters` = (SELECT json_group_array(id) FILTER (WHERE id IS NOT NULL) FROM (
  SELECT (SELECT c.id FROM counters c WHERE c.limit_id = l.id AND c.retired_seq IS NULL AND c.first_seq <= calls.seq
      AND c.period_start <= calls.at AND (c.period_end IS NULL OR c.period_end > calls.at)
    ORDER BY c.period_start DESC LIMIT 1) AS id
  FROM limits l WHERE l.key_seq = calls.key_seq
  UNION ALL
  SELECT c.id FROM limits l JOIN counters c ON c.limit_id = l.id
  WHERE l.key_seq = calls.key_seq AND c.retired_seq > calls.seq AND c.first_seq <= calls.seq
    AND c.period_start <= calls.at AND (c.period_end IS NULL OR c.period_end > calls.at)
));--> statement-breakpoint
UPDATE `holds` SET `counters` = (SELECT json_group_array(id) FILTER (WHERE id IS NOT NULL) FROM (
  SELECT (SELECT c.id FROM counters c WHERE c.limit_id = l.id AND c.retired_seq IS NULL AND c.first_seq <= holds.seq
      AND c.period_start <= holds.at AND (c.period_end IS NULL OR c.period_end > holds.at)
    ORDER BY c.period_start DESC LIMIT 1) AS id
  FROM limits l WHERE l.key_seq = holds.key_seq
  UNION ALL
  SELECT c.id FROM limits l JOIN counters c ON c.limit_id = l.id
  WHERE l.key_seq = holds.key_seq AND c.retired_seq > holds.seq AND c.first_seq <= holds.seq
    AND c.period_start <= holds.at AND (c.period_end IS NULL OR c.period_end > holds.at)
));--> statement-breakpoint
DROP INDEX `counters_retired`;--> statement-breakpoint
ALTER TABLE `counters` DROP COLUMN `first_seq`;
