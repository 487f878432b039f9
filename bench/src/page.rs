//! Puts tables into docs/benchmarks.md, between the marks that stand there for each scenario.

use std::path::Path;

use crate::Outcome;
use crate::report::Section;

/// Replaces the results of the scenarios that ran; those of others stay.
pub(crate) fn update(sections: &[Section], conditions: &str) -> Outcome<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let mut page = std::fs::read_to_string(&path)?;
    for section in sections {
        let results = format!("{conditions}\n\n{}", section.table()?);
        page = replaced(&page, &section.name, &results)
            .ok_or_else(|| format!("docs/benchmarks.md has no place for {}", section.name))?;
    }
    Ok(std::fs::write(path, page)?)
}

fn replaced(page: &str, scenario: &str, results: &str) -> Option<String> {
    let start = format!("<!-- results of {scenario} -->\n");
    let (before, rest) = page.split_once(&start)?;
    let (_, after) = rest.split_once("<!-- end of results -->")?;
    Some(format!(
        "{before}{start}\n{results}\n<!-- end of results -->{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    const PAGE: &str = "# A\n<!-- results of a -->\nold\n<!-- end of results -->\n\
                        # B\n<!-- results of b -->\nkept\n<!-- end of results -->\n";

    #[test]
    fn the_results_of_one_scenario_are_replaced_and_others_stay() {
        let page = replaced(PAGE, "a", "new\n").unwrap();
        let expected = PAGE.replace("\nold\n", "\n\nnew\n\n");
        assert_eq!(page, expected);
        assert_eq!(replaced(&page, "a", "new\n").unwrap(), page);
    }

    #[test]
    fn a_page_without_a_place_for_the_results_is_not_touched() {
        assert_eq!(replaced(PAGE, "c", "new"), None);
    }
}
