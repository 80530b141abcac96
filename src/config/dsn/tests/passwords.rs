use proptest::prelude::*;

use super::*;

/// Everything that is not unreserved in RFC 3986, escaped.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

const PASSWORD: &str = "[a-z0-9@:/?()%&=#+'äß漢🔑 ]{1,24}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_password_comes_back(user in "[a-z]{1,3}[a-z0-9_]{0,9}", password in PASSWORD) {
        prop_assume!(!["sqlite", "mysql", "mariadb"].contains(&user.as_str()));
        for dsn in [
            format!("{user}:{password}@tcp(h:1)/d?tls=true"),
            format!("{user}:{password}@unix(/run/s)/d"),
            format!("{user}:{password}@/d"),
            format!("mysql://{}:{}@h/d", escape(&user), escape(&password)),
        ] {
            let config = mysql(&dsn);
            prop_assert_eq!(&config.user, &user);
            prop_assert_eq!(config.password.as_ref().map(Secret::expose), Some(&*password));
            prop_assert_eq!(&config.database, "d");
        }
    }

    /// Neither the password nor any piece of the DSN that was once a part of it is in an error.
    #[test]
    fn no_error_shows_a_password(
        form in 0..6usize,
        around in (PASSWORD, PASSWORD),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..3u8, "[@:/?()%&=#\\[\\]+,'. a\u{202e}ä]"), 0..5
        ),
    ) {
        let password = format!("{}{CANARY}{}", around.0, around.1);
        let dsn = match form {
            0 => format!("u:{password}@tcp(h:3306)/d?tls=true&timeout=5s"),
            1 => format!("u:{password}@unix(/run/s)/d?sql_mode=''"),
            2 => format!("mysql://u:{password}@h:3306/d?tls=true"),
            3 => format!("mysql://u:{}@[::1]/d?socket=/x", escape(&password)),
            4 => format!("{password}@/d?readTimeout={password}"),
            _ => format!("u:p@tcp(h)/{password}?{password}"),
        };
        let mut characters: Vec<char> = dsn.chars().collect();
        for (at, how, new) in edits {
            let at = at.index(characters.len());
            match how {
                0 => characters.insert(at, new.chars().next().unwrap()),
                1 if characters.len() > 1 => drop(characters.remove(at)),
                _ => characters[at] = new.chars().next().unwrap(),
            }
        }
        let dsn: String = characters.into_iter().collect();
        match parse(&dsn) {
            Err(error) => prop_assert!(!text(&error).contains(CANARY), "{}", dsn),
            Ok(Dsn::Mysql(config)) => {
                let shown = format!("{config:?}").matches(CANARY).count();
                let names = [&config.user, &config.database, &format!("{:?}", config.address)]
                    .map(|name| name.matches(CANARY).count());
                prop_assert_eq!(shown, names.iter().sum::<usize>(), "{}", dsn);
            }
            Ok(Dsn::Sqlite(_)) => {}
        }
    }

    #[test]
    fn any_text_is_read_or_refused(dsn in "(mysql://|sqlite:|u:|)[a-z@:/?()%&=#\\[\\]'0-9ä]{0,40}") {
        let _ = parse(&dsn);
    }
}
