-- An operator's word on an attempt: 'settled' (beside the state 'observed') or 'dismissed' (beside
-- 'failed'). A column of its own, so that no row and no rule that is there changes.

ALTER TABLE artifactory_attempts ADD COLUMN verdict TEXT CHECK (verdict IN ('settled', 'dismissed'));

-- What an app tried last, what is not deployed, and the newest of all, without reading the rest.

CREATE INDEX artifactory_attempts_app ON artifactory_attempts (domain, environment, app, seq, state);

CREATE INDEX artifactory_attempts_state ON artifactory_attempts (domain, environment, state, seq);

CREATE INDEX artifactory_attempts_scope ON artifactory_attempts (domain, environment, seq);

-- The whole report of a pass, compressed (zlib), where `report` leaves apps out that are up to date.

ALTER TABLE artifactory_passes ADD COLUMN report_zlib BLOB;
