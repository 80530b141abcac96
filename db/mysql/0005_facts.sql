-- When an attempt was made, by clocks that no host sets: the boot of the host that made it, the
-- milliseconds from that boot to its intent, and the server's own time.

ALTER TABLE artifactory_attempts ADD COLUMN boot_id VARBINARY(64);

ALTER TABLE artifactory_attempts ADD COLUMN boot_ms BIGINT;

ALTER TABLE artifactory_attempts ADD COLUMN stored_at DATETIME(6);

-- Who asked for an attempt; nothing, where a timer did.

ALTER TABLE artifactory_attempts ADD COLUMN asked_by VARBINARY(1020);

-- Since when every pass until this one has found coreos-deploy busy.

ALTER TABLE artifactory_passes ADD COLUMN busy_since BIGINT;

-- The apps of which other versions run than the ledger has (JSON), as of the end of the pass.

ALTER TABLE artifactory_passes ADD COLUMN unaccounted MEDIUMBLOB;

-- The versions that ran beside an attempt and that no attempt was of, accounted for by it (JSON).

ALTER TABLE artifactory_attempts ADD COLUMN accounted MEDIUMBLOB;

-- The versions of which one failure is forgiven (JSON, by app), as of the end of the pass.

ALTER TABLE artifactory_passes ADD COLUMN forgiven MEDIUMBLOB;
