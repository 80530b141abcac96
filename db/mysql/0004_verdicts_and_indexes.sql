-- An operator's word on an attempt: 'settled' (beside the state 'observed') or 'dismissed' (beside
-- 'failed'). A column of its own, so that no row and no rule that is there changes.

ALTER TABLE artifactory_attempts ADD COLUMN verdict VARBINARY(16);

-- What an app tried last, and the newest of all, without reading the rest.

ALTER TABLE artifactory_attempts ADD KEY artifactory_attempts_app (domain, environment, app, seq, state);

ALTER TABLE artifactory_attempts ADD KEY artifactory_attempts_scope (domain, environment, seq);

-- The whole report of a pass, compressed (zlib), where `report` leaves apps out that are up to date.

ALTER TABLE artifactory_passes ADD COLUMN report_zlib LONGBLOB;
