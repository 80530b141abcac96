-- An operator's word on an attempt: 'settled' (beside the state 'observed') or 'dismissed' (beside
-- 'failed'). A column of its own, so that no row and no rule that is there changes.

ALTER TABLE artifactory_attempts ADD COLUMN verdict TEXT CHECK (verdict IN ('settled', 'dismissed'));
