//! The options of the ledger.

use super::check::named;
use super::dsn::{self, Dsn, MysqlAddress, MysqlConfig, MysqlTls};
use super::rules::longest_hold;
use super::secrets::{Env, Source};
use super::warnings::is_loopback;
use crate::cli::Cli;
use crate::error::{Error, Result};
use crate::file;

/// Where the ledger is and how it is spoken to.
///
/// Errors (exit 2): a DSN, a lease or a file of certificates that cannot be used.
pub(super) fn from_cli(cli: &Cli, env: Env, warnings: &mut Vec<String>) -> Result<Dsn> {
    let args = &cli.global.ledger;
    let given = Source::new("dsn", &args.dsn, &args.dsn_file).find(env, warnings)?;
    let options = dsn::Options {
        typed: args.dsn.is_some(),
        ca_file: args.dsn_ca_file.as_deref(),
        lease_ttl: args.lease_ttl,
        lease_limit: longest_hold(cli),
    };
    let dsn = match given {
        Some(found) => dsn::parse(found.secret.expose(), &options)?,
        None => dsn::default(env)?,
    };
    if let Dsn::Mysql(config) = &dsn {
        check_ca_file(config)?;
        warn_of_open_mysql(config, warnings);
    }
    Ok(dsn)
}

/// Says early what the first connection would stumble over.
fn check_ca_file(config: &MysqlConfig) -> Result<()> {
    let Some(path) = &config.ca_file else {
        return Ok(());
    };
    // The driver reads it again for every connection, without bounds.
    match file::read_regular(path, file::CERTIFICATES) {
        Ok(_) => Ok(()),
        Err(e) => {
            let message = format!("{} {} cannot be read", named("dsn-ca-file"), path.display());
            Err(Error::usage(message)
                .because_of(&e)
                .hint(file::NAME_CERTIFICATES))
        }
    }
}

/// Warns where the ledger is open to whoever is on the way to another machine.
fn warn_of_open_mysql(config: &MysqlConfig, warnings: &mut Vec<String>) {
    let MysqlAddress::Tcp(host, _) = &config.address else {
        return;
    };
    let what = match config.tls {
        _ if is_loopback(host) => return,
        MysqlTls::Verified => return,
        MysqlTls::Off => "is not encrypted: everybody on the way to",
        MysqlTls::Unverified | MysqlTls::Preferred => {
            "does not verify its server: whoever stands on the way to"
        }
    };
    warnings.push(crate::text::printable(&format!(
        "{} {what} {host} can read and change what is sent",
        named("dsn")
    )));
}
