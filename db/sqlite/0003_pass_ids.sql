-- The id of a pass, by which its report is looked up.

ALTER TABLE artifactory_passes ADD COLUMN pass TEXT NOT NULL DEFAULT '';

UPDATE artifactory_passes SET pass = COALESCE(json_extract(report, '$.pass'), '');

CREATE INDEX artifactory_passes_pass ON artifactory_passes (domain, environment, pass);
