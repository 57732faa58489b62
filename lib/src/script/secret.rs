//! Passwords in statements, which no message may repeat.

/// What stands for a character that is not told.
const HIDDEN: char = '*';

/// The values that follow the word password: a text in quotes or dollars, also one inside of another text, or the value of
/// a connection string; and the one in a URI.
pub(crate) fn secrets(sql: &str) -> Vec<String> {
    const WORD: &str = "password";
    let lower = sql.to_ascii_lowercase();
    let mut found = Vec::new();
    for (place, _) in lower.match_indices(WORD) {
        let after = sql.get(place + WORD.len()..).unwrap_or_default();
        let value = after.trim_start_matches(|c: char| c.is_whitespace() || "=:>".contains(c));
        let separator = after.len() - value.len();
        // E'...' and U&'...'.
        let value = ["E", "e", "U&", "u&"]
            .iter()
            .find_map(|prefix| value.strip_prefix(prefix).filter(|text| text.starts_with('\'')))
            .unwrap_or(value);
        let secret = if let Some(quoted) = value.strip_prefix('\'') {
            let quoted = quoted.trim_start_matches('\'');
            quoted.split('\'').next()
        } else if let Some(dollars) = value.strip_prefix('$') {
            let tag = dollars.split('$').next().unwrap_or_default();
            let end = format!("${tag}$");
            dollars
                .get(tag.len() + 1..)
                .map(|body| body.split(end.as_str()).next().unwrap_or_default())
        } else if separator == 1 && after.starts_with('=') {
            value.split(|c: char| c.is_whitespace() || "'\";,)".contains(c)).next()
        } else {
            None
        };
        found.extend(secret.filter(|secret| !secret.trim().is_empty()).map(str::to_owned));
    }
    // postgresql://user:password@host
    for (place, scheme) in sql.match_indices("://") {
        let rest = sql.get(place + scheme.len()..).unwrap_or_default();
        let ends = |c: char| c.is_whitespace() || "'\"/?#;,)".contains(c);
        let authority = rest.split(ends).next().unwrap_or_default();
        let login = authority.rsplit_once('@').map(|(login, _)| login);
        if let Some((_, secret)) = login.and_then(|login| login.split_once(':'))
            && !secret.is_empty()
        {
            found.push(secret.to_owned());
        }
    }
    found
}

/// A text with as many asterisks in place of each secret.
pub(crate) fn hidden(text: &str, secrets: &[String]) -> String {
    let mut hidden = text.to_owned();
    for part in secrets.iter().flat_map(|secret| secret.lines()) {
        let asterisks: String = part.chars().map(|_| HIDDEN).collect();
        if asterisks.len() > 3 {
            hidden = hidden.replace(part, &asterisks);
        } else if !part.is_empty() {
            // So short a word is in many others.
            for (before, after) in [("'", "'"), ("$", "$"), ("=", "")] {
                hidden = hidden.replace(
                    &format!("{before}{part}{after}"),
                    &format!("{before}{asterisks}{after}"),
                );
            }
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_they_stand() {
        for (sql, secret) in [
            ("alter role a PASSWORD 'x y' valid until 'z'", "x y"),
            ("alter role a password\n  E'x\\'", "x\\"),
            ("alter role a password $p$it's$p$;", "it's"),
            ("alter role a password $$xyz$$", "xyz"),
            ("execute 'alter role a password ''secret'' x'", "secret"),
            ("options (user 'u', password 'secret')", "secret"),
            ("connection 'host=a password=secret dbname=b'", "secret"),
            ("update u set password = 'secret'", "secret"),
            ("f(password => 'secret')", "secret"),
            ("dblink('postgresql://ann:secret@host/db')", "secret"),
        ] {
            assert_eq!(secrets(sql), [secret], "{sql}");
            let shown = hidden(sql, &secrets(sql));
            assert!(
                !shown.contains(secret) && shown.chars().count() == sql.chars().count(),
                "{shown}"
            );
        }
        for sql in [
            "create table u (password text not null)",
            "password",
            "password '",
            "select password from u",
        ] {
            assert_eq!(secrets(sql), [""; 0], "{sql}");
        }
        assert_eq!(hidden("a password 'a'", &["a".to_owned()]), "a password '*'");
    }
}
