//! How the schema of a database stands to this program.

use crate::error::Error;

/// A migration: number, name and text.
pub type Migration = (i64, &'static str, &'static str);

/// The migrations of a folder of `db/`; append only, with the same numbers and names in each.
macro_rules! migrations {
    ($folder:literal) => {
        migrations!(
            $folder: 1 "0001_original", 2 "0002_ledger", 3 "0003_pass_ids",
            4 "0004_verdicts_and_indexes", 5 "0005_facts"
        )
    };
    ($folder:literal: $($number:literal $name:literal),*) => {
        [$((
            $number,
            $name,
            include_str!(concat!("../../../db/", $folder, "/", $name, ".sql")),
        )),*]
    };
}
pub(super) use migrations;

/// How a schema stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// None of the tables is there: a database that was just created, perhaps by a process that is
    /// about to fill it.
    Empty,
    /// The original's tables, and none of ours.
    Original,
    /// Migrations are missing.
    Older,
    /// The program's own, or the next release's: a release adds one migration at most, and that
    /// only adds.
    Current,
    /// Made by a program that is newer than the next release: its last migration.
    Newer(i64),
}

impl Schema {
    /// What the table of migrations says: the last number in it, and how many there are.
    pub fn of(migrations: &[Migration], last: i64, count: i64) -> Self {
        let ours = migrations.iter().map(|m| m.0).max().unwrap_or(0);
        if last > ours + 1 {
            Self::Newer(last)
        } else if last >= ours && count >= last {
            Self::Current
        } else {
            Self::Older
        }
    }

    /// Whether there is something to be migrated.
    pub fn is_behind(self) -> bool {
        self.migrated() != self
    }

    /// What a schema that was found has become by the migrations.
    pub fn migrated(self) -> Self {
        match self {
            Self::Empty | Self::Original | Self::Older => Self::Current,
            other => other,
        }
    }

    /// Why a ledger of this schema cannot be used as it is (exit 2), where it cannot. `shown` says
    /// which ledger, `who` may bring it up to date.
    pub fn refusal(self, shown: &str, who: &str) -> Option<Error> {
        match self {
            Self::Empty | Self::Original | Self::Current => None,
            Self::Older => Some(
                Error::usage(format!(
                    "the ledger {shown} has an older schema than this program"
                ))
                .hint(format!(
                    "`migrate` brings it up to date{who}, as does any command that writes"
                )),
            ),
            Self::Newer(number) => Some(
                Error::usage(format!(
                    "the ledger {shown} was written by a newer program (migration {number})"
                ))
                .hint("use that program, or a newer one"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_must_be_there_and_no_other() {
        let known = [(1, "one", ""), (2, "two", "")];
        for (last, count, expected) in [
            (0, 0, Schema::Older),
            (1, 1, Schema::Older),
            (2, 1, Schema::Older),
            (2, 2, Schema::Current),
            (3, 3, Schema::Current),
            (3, 1, Schema::Older),
            (4, 4, Schema::Newer(4)),
            (9, 1, Schema::Newer(9)),
        ] {
            assert_eq!(Schema::of(&known, last, count), expected, "{last} {count}");
            assert_eq!(
                expected.refusal("x", "").is_none(),
                expected == Schema::Current
            );
        }
    }
}
