//! `man`: the manual, a page a command, made from the definitions of the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::{Cli, NAME};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::output::Output;

/// The section of the manual: user commands.
const SECTION: &str = "1";

/// Prints the main page on stdout, or writes every page into a directory, made where it is missing,
/// under the name that `man` looks for.
pub fn run(output: &Output, directory: Option<&Path>) -> Result<Exit> {
    let pages = pages().map_err(|e| failed("the manual cannot be made", &e))?;
    let Some(directory) = directory else {
        output.text(&pages[0].1);
        return Ok(Exit::Success);
    };
    let shown = directory.display();
    fs::create_dir_all(directory).map_err(|e| failed(&format!("{shown} cannot be made"), &e))?;
    for (name, text) in pages {
        let path = directory.join(format!("{name}.{SECTION}"));
        fs::write(&path, text)
            .map_err(|e| failed(&format!("{} cannot be written", path.display()), &e))?;
    }
    Ok(Exit::Success)
}

fn failed(what: &str, cause: &io::Error) -> Error {
    Error::usage(what).because_of(cause)
}

/// Names (such as `coreos-artifactory-monitor-scan`) and texts in roff of the pages: that of the
/// program, then those of its commands.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut command = Cli::command_line()
        .disable_help_subcommand(true)
        // Those that the short help leaves out would stand here without a word.
        .mut_args(|arg| arg.hide_short_help(false));
    command.build();
    let mut commands = vec![&command];
    let mut at = 0;
    while let Some(parent) = commands.get(at) {
        commands.extend(parent.get_subcommands().filter(|sub| !sub.is_hide_set()));
        at += 1;
    }
    let named = |command: &Command| {
        let name = command.get_display_name().unwrap_or(NAME).to_owned();
        page(command, &name).map(|text| (name, text))
    };
    commands.into_iter().map(named).collect()
}

fn page(command: &Command, name: &str) -> io::Result<String> {
    let man = Man::new(with_short_usage(command))
        .section(SECTION)
        .source(format!("{NAME} {}", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut roff = Vec::new();
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    man.render_options_section(&mut roff)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut roff)?;
    }
    if let Some(text) = command.get_after_help() {
        sections(&text.to_string()).to_writer(&mut roff)?;
    }
    if name != NAME {
        sections(&format!("See also:\n{NAME}({SECTION})")).to_writer(&mut roff)?;
    }
    Ok(String::from_utf8_lossy(&roff).into_owned())
}

/// Gives the command the usage line of its help, instead of one that names every option.
fn with_short_usage(command: &Command) -> Command {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    command.clone().override_usage(usage)
}

/// Sets the text at the end of the help as it stands: a paragraph that begins with a line ending in
/// a colon is a section of that name, another one is a note.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in text.split("\n\n") {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (title, body) = match first.strip_suffix(':') {
            Some(title) => (title, rest),
            None => ("Notes", paragraph),
        };
        roff.control("SH", [title.to_uppercase().as_str()]);
        roff.control("nf", []);
        for line in body.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        let pages = pages().unwrap();
        let page = pages.into_iter().find(|page| page.0 == name);
        page.unwrap_or_else(|| panic!("no page {name}")).1
    }

    #[test]
    fn there_is_a_page_a_command() {
        let command = Cli::command_line();
        for sub in command.get_subcommands() {
            let text = named(&format!("{NAME}-{}", sub.get_name()));
            let about = sub.get_about().unwrap().to_string();
            let first = about.split([',', ';', ':', '-']).next().unwrap();
            assert!(text.contains(first), "{}", sub.get_name());
            assert!(text.contains("SEE ALSO"));
            assert!(text.contains("[OPTIONS]"));
        }
    }

    #[test]
    fn the_main_page_has_every_option_with_its_help() {
        let text = named(NAME).replace("\\-", "-").replace("\\*(Aq", "'");
        for arg in Cli::command_line().get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            assert!(text.contains(&format!("--{long}")), "{long}");
            let variable = arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            assert!(text.contains(&variable.unwrap_or_default()), "{long}");
            let help = arg.get_help().unwrap().to_string().replace('-', "");
            assert!(text.replace('-', "").contains(&help), "{long}");
        }
        for title in ["EXAMPLES", "EXIT CODES"] {
            assert!(text.contains(title), "{title}");
        }
    }

    #[test]
    fn text_at_the_end_keeps_its_lines() {
        let roff = sections("Codes:\n  0  good\n  .x  bad\n\nThat is all.").render();
        assert!(roff.contains(".SH CODES\n.nf\n  0  good\n"), "{roff}");
        assert!(roff.contains(".SH NOTES\n.nf\nThat is all.\n"), "{roff}");
    }
}
