//! Proxies, by the variables and rules of Go and curl: who runs both programs beside each other
//! sets them once.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// The variables of a scheme, the first that is set counts; then those of every scheme.
const OF_HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
/// As [`OF_HTTP`], for https.
const OF_HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// The variables that say what is not proxied.
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxies of the environment. Cloning them is cheap.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<Variables>);

#[derive(Debug, Default)]
struct Variables {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Rule>,
}

/// One proxy; printed without its password.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its address, which may hold a password.
    address: Secret,
    user: String,
    password: Option<Secret>,
    shown: String,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Proxy {
    /// Reads the value of a variable.
    fn parse(variable: &str, text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::usage(format!("{variable} is no address of a proxy"))
                .because(why)
                .hint("it looks like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; unset it where no proxy is meant")
        };
        let text = text.trim();
        let url = match text.split_once("://") {
            Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
                return Err(refused(
                    "SOCKS proxies are not supported, only those of HTTP",
                ));
            }
            Some(_) => Url::parse(text),
            None => Url::parse(&format!("http://{text}")),
        };
        let url = url.map_err(|e| refused(&e.to_string()))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(refused("it must begin with http:// or https://"));
        }
        if url
            .host_str()
            .is_none_or(|host| !host.chars().all(is_of_host))
        {
            return Err(refused("it names no host"));
        }
        // An unescaped slash of a password ends the host, and what follows it goes astray.
        if url.path().contains('@') {
            return Err(refused(
                "an @ stands behind a slash: write %2F for one in a password",
            ));
        }
        let decoded = |text: &str| {
            let text = percent_encoding::percent_decode_str(text);
            text.decode_utf8_lossy().into_owned()
        };
        let origin = url.origin().ascii_serialization();
        Ok(Self {
            user: decoded(url.username()),
            password: url.password().map(|text| Secret::new(decoded(text))),
            shown: format!("{origin} ({variable})"),
            address: Secret::new(url.into()),
        })
    }
}

impl Proxies {
    /// The proxies that the variables name.
    ///
    /// Errors: exit 2 for an address that is none, without quoting it: it may hold a password.
    pub fn from_env(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let get = |names: &[&'static str]| -> Result<Option<(&'static str, String)>> {
            let found = names
                .iter()
                .find_map(|name| Some((*name, env(name)?)).filter(|(_, v)| !v.is_empty()));
            found
                .map(|(name, value)| {
                    let value = value.into_string();
                    let value = value.map_err(|_| Error::usage(format!("{name} is not UTF-8")))?;
                    Ok((name, value))
                })
                .transpose()
        };
        let proxy = |names: &[&'static str]| {
            get(names)?
                .filter(|(_, value)| !value.trim().is_empty())
                .map(|(name, value)| Proxy::parse(name, &value))
                .transpose()
        };
        // Of a CGI program, HTTP_PROXY is whatever a client's `Proxy` header says.
        let is_cgi = env("REQUEST_METHOD").is_some();
        let of_http = if is_cgi { &OF_HTTP[1..] } else { &OF_HTTP[..] };
        let except = get(&EXCEPT)?.map(|(_, value)| rules(&value));
        Ok(Self(Arc::new(Variables {
            http: proxy(of_http)?,
            https: proxy(&OF_HTTPS)?,
            except: except.unwrap_or_default(),
        })))
    }

    /// The proxy for an address, if any. Loopback never has one.
    pub fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "https" => self.0.https.as_ref(),
            _ => self.0.http.as_ref(),
        }?;
        let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let ip = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        let is_loopback = match ip {
            Some(ip) => ip.is_loopback(),
            None => host == "localhost" || host.ends_with(".localhost"),
        };
        let port = url.port_or_known_default();
        let is_excepted = || self.0.except.iter().any(|rule| rule.fits(host, ip, port));
        (!is_loopback && !is_excepted()).then_some(proxy)
    }

    /// The address of the proxy for an address, with its password.
    pub fn address_of(&self, url: &Url) -> Option<String> {
        Some(self.of(url)?.address.expose().to_owned())
    }

    /// The passwords, each with its user.
    pub fn secrets(&self) -> impl Iterator<Item = (Option<&str>, &Secret)> {
        let proxies = [&self.0.http, &self.0.https].into_iter().flatten();
        proxies.filter_map(|proxy| Some((Some(proxy.user.as_str()), proxy.password.as_ref()?)))
    }
}

/// Whether a character stands in names of hosts, or in addresses (`[::1]`).
fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._[]:".contains(c)
}

/// What is not proxied.
#[derive(Debug, PartialEq, Eq)]
enum Rule {
    /// `*`
    All,
    /// `10.0.0.0/8`
    Network(IpAddr, u32),
    /// An address, at this port if any.
    Address(IpAddr, Option<u16>),
    /// A domain that begins with a dot, at this port if any, and what is below it.
    Domain {
        suffix: String,
        is_itself: bool,
        port: Option<u16>,
    },
}

fn rules(text: &str) -> Vec<Rule> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    parts
        .filter(|part| !part.is_empty())
        .map(Rule::parse)
        .collect()
}

impl Rule {
    fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Self::All;
        }
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse())
            && bits <= width(address)
        {
            return Self::Network(address, bits);
        }
        // Of an IPv6 address without brackets, the last part is no port.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                match port.parse() {
                    Ok(port) => (host, Some(port)),
                    Err(_) => (text.as_str(), None),
                }
            }
            _ => (text.as_str(), None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            return Self::Address(address.to_canonical(), port);
        }
        let host = host.trim_end_matches('.');
        let below = host
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(host);
        let is_itself = !below.starts_with('.');
        let dot = if is_itself { "." } else { "" };
        Self::Domain {
            suffix: format!("{dot}{below}"),
            is_itself,
            port,
        }
    }

    fn fits(&self, host: &str, ip: Option<IpAddr>, port: Option<u16>) -> bool {
        let is_port = |rule: &Option<u16>| rule.is_none() || *rule == port;
        match self {
            Self::All => true,
            Self::Network(network, bits) => ip.is_some_and(|ip| is_within(ip, *network, *bits)),
            Self::Address(address, rule) => ip == Some(*address) && is_port(rule),
            Self::Domain {
                suffix,
                is_itself,
                port,
            } => {
                let is_named = *is_itself && suffix.strip_prefix('.') == Some(host);
                (is_named || host.ends_with(suffix.as_str())) && is_port(port)
            }
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let number = |address| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let host_bits = width(network) - bits;
    let prefix = |address| number(address).checked_shr(host_bits).unwrap_or_default();
    ip.is_ipv4() == network.is_ipv4() && prefix(ip) == prefix(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::from_env(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    fn shown(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let proxies = proxies(variables).unwrap();
        proxies
            .of(&Url::parse(url).unwrap())
            .map(ToString::to_string)
    }

    #[test]
    fn each_scheme_has_its_variables() {
        let p = "http://p:3128";
        for (variables, url, name) in [
            (
                &[("HTTP_PROXY", p)][..],
                "http://a.corp/x",
                Some("HTTP_PROXY"),
            ),
            (&[("http_proxy", p)], "http://a.corp/x", Some("http_proxy")),
            (&[("HTTP_PROXY", p)], "https://a.corp/x", None),
            (
                &[("HTTPS_PROXY", p)],
                "https://a.corp/x",
                Some("HTTPS_PROXY"),
            ),
            (&[("https_proxy", p)], "http://a.corp/x", None),
            (&[("ALL_PROXY", p)], "http://a.corp/x", Some("ALL_PROXY")),
            (
                &[("all_proxy", "http://q:1"), ("HTTP_PROXY", p)],
                "http://a.corp/x",
                Some("HTTP_PROXY"),
            ),
            (
                &[("HTTP_PROXY", ""), ("http_proxy", p)],
                "http://a.corp/x",
                Some("http_proxy"),
            ),
            (
                &[("HTTP_PROXY", p), ("REQUEST_METHOD", "GET")],
                "http://a.corp/x",
                None,
            ),
            (
                &[("http_proxy", p), ("REQUEST_METHOD", "GET")],
                "http://a.corp/x",
                Some("http_proxy"),
            ),
            (&[("HTTP_PROXY", "  ")], "http://a.corp/x", None),
        ] {
            let expected = name.map(|name| format!("{p} ({name})"));
            assert_eq!(shown(variables, url), expected, "{variables:?} {url}");
        }
    }

    #[test]
    fn loopback_is_never_proxied() {
        let all = [("ALL_PROXY", "p:3128")];
        for url in [
            "http://localhost/",
            "http://LOCALHOST.:80/",
            "http://a.localhost/",
            "http://127.0.0.1:8080/",
            "http://127.9.9.9/",
            "https://[::1]:8443/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert_eq!(shown(&all, url), None, "{url}");
        }
        for url in [
            "http://localhost.corp/",
            "http://128.0.0.1/",
            "http://[::2]/",
        ] {
            assert!(shown(&all, url).is_some(), "{url}");
        }
    }

    #[test]
    fn what_is_not_proxied_is_told_as_go_and_curl_have_it() {
        for (except, url, is_proxied) in [
            ("*", "http://a.corp/", false),
            ("x, *", "https://10.1.2.3/", false),
            ("a.corp", "http://a.corp/", false),
            ("A.Corp", "http://b.a.corp/", false),
            ("a.corp", "http://ba.corp/", true),
            (".a.corp", "http://a.corp/", true),
            (".a.corp", "http://b.a.corp/", false),
            ("*.a.corp", "http://b.a.corp/", false),
            ("*.a.corp", "http://a.corp/", true),
            ("a.corp:80", "http://a.corp/", false),
            ("a.corp:8081", "http://a.corp/", true),
            ("a.corp:8081", "http://a.corp:8081/", false),
            ("x a.corp y", "http://a.corp/", false),
            ("x,,a.corp.", "https://a.corp/", false),
            ("10.0.0.0/8", "http://10.255.1.2/", false),
            ("10.0.0.0/8", "http://11.0.0.1/", true),
            ("10.0.0.0/8", "http://a.corp/", true),
            ("0.0.0.0/0", "http://11.0.0.1/", false),
            ("0.0.0.0/0", "http://[2001:db8::1]/", true),
            ("10.1.2.3/32", "http://10.1.2.3/", false),
            ("10.0.0.0/33", "http://10.0.0.1/", true),
            ("2001:db8::/32", "http://[2001:db8:1::1]/", false),
            ("2001:db8::/32", "http://[2001:db9::1]/", true),
            ("2001:db8::1", "http://[2001:db8::1]:8081/", false),
            ("[2001:db8::1]:80", "http://[2001:db8::1]:8081/", true),
            ("10.1.2.3:8081", "http://10.1.2.3:8081/", false),
            ("10.1.2.3:8081", "http://10.1.2.3/", true),
            ("", "http://a.corp/", true),
        ] {
            let variables = [("ALL_PROXY", "p"), ("NO_PROXY", except)];
            assert_eq!(
                shown(&variables, url).is_some(),
                is_proxied,
                "{except} {url}"
            );
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_quoting_it() {
        for bad in [
            "http://",
            "http://u:hunter2@",
            "socks5://hunter2:1",
            "ftp://hunter2",
            "http://u:hun/ter2@p:1",
            "http://p:hunter2",
            "p:99999",
            "http://hun ter2",
            "*",
            "ht!tp:/hunter2",
            "<hunter2>",
            "$PROXY",
            "'p:3128'",
        ] {
            let error = proxies(&[("HTTPS_PROXY", bad)]).unwrap_err();
            assert!(error.message.contains("HTTPS_PROXY"), "{error:?}");
            assert!(!format!("{error:?}").contains("ter2"), "{error:?}");
        }
    }

    #[test]
    fn a_password_is_sent_and_not_shown() {
        let proxies = proxies(&[("HTTP_PROXY", "http://ci:hun%2Fter2@p:3128/")]).unwrap();
        let url = Url::parse("http://a.corp/").unwrap();
        assert_eq!(
            proxies.address_of(&url).unwrap(),
            "http://ci:hun%2Fter2@p:3128/"
        );
        let (user, password) = proxies.secrets().next().unwrap();
        assert_eq!((user, password.expose()), (Some("ci"), "hun/ter2"));
        let debug = format!("{proxies:?} {}", proxies.of(&url).unwrap());
        assert!(
            !debug.contains("ter2") && debug.contains("http://p:3128 (HTTP_PROXY)"),
            "{debug}"
        );
    }
}
