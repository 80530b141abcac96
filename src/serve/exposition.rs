//! The text that Prometheus reads.

use std::fmt::Write;

/// `OpenMetrics` 1.0, for who asks for it.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The text format of Prometheus, for everybody else.
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Rewrites `OpenMetrics` as the older text format: there a counter is described under the name of
/// its samples, which ends in `_total`, and there is neither a unit nor an end.
pub(super) fn to_text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|t| t.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            // Writing to a string can't fail.
            if let Some((_, help)) = help.take() {
                let _ = writeln!(out, "# HELP {name}{suffix} {help}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with("# ") {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_under_the_name_of_their_samples() {
        let open = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
            a_seconds_total{x=\"# \"} 1.5\n# HELP b Now.\n# TYPE b gauge\nb 2\n# EOF\n";
        assert_eq!(
            to_text(open),
            "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\n\
            a_seconds_total{x=\"# \"} 1.5\n# HELP b Now.\n# TYPE b gauge\nb 2\n"
        );
    }
}
