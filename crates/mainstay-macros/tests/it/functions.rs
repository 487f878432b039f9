//! Free functions: what is kept, under which key, and what a body may look like.

use std::fmt::Display;
use std::sync::{Arc, LazyLock};

use mainstay::cache::Cache;
use mainstay::{Result, key};

use crate::{Runs, cache};

#[mainstay::cached(cache = lengths, key = text)]
async fn length(lengths: &Cache<usize>, runs: Runs, text: String) -> Result<usize> {
    runs.add();
    Ok(text.into_bytes().len())
}

#[tokio::test]
async fn a_hit_does_not_run_the_body() {
    let (lengths, runs) = (cache(), Runs::default());
    let ask = || length(&lengths, runs.clone(), "abc".to_owned());
    assert_eq!(ask().await.unwrap(), 3);
    assert_eq!(runs.count(), 1);
    assert_eq!(ask().await.unwrap(), 3);
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn an_entry_is_removed_by_the_key_of_its_parts() {
    let (lengths, runs) = (cache(), Runs::default());
    let ask = || length(&lengths, runs.clone(), "a:b".to_owned());
    ask().await.unwrap();
    assert_eq!(lengths.get(key!["a:b"].unwrap()).await.unwrap(), Some(3));
    assert!(lengths.remove(key!["a:b"].unwrap()).await.unwrap());
    ask().await.unwrap();
    assert_eq!(runs.count(), 2);
}

#[mainstay::cached(cache = names, key = [tenant, id + 1, "name"])]
async fn name(names: &Cache<String>, tenant: &str, id: u64, given: String) -> Result<String> {
    Ok(given)
}

#[tokio::test]
async fn every_part_of_the_key_tells_values_apart() {
    let names = cache();
    let ask = |tenant, id, given: &str| name(&names, tenant, id, given.to_owned());
    assert_eq!(ask("north", 1, "Ada").await.unwrap(), "Ada");
    assert_eq!(ask("south", 1, "Bea").await.unwrap(), "Bea");
    assert_eq!(ask("north", 2, "Cid").await.unwrap(), "Cid");
    assert_eq!(ask("north", 1, "Dan").await.unwrap(), "Ada");
    let entry = names.get(key!["north", 2, "name"].unwrap()).await.unwrap();
    assert_eq!(entry.as_deref(), Some("Ada"));
}

#[mainstay::cached(cache = found, key = id, optional)]
async fn find(found: &Cache<String>, runs: Runs, id: u64) -> Result<Option<String>> {
    runs.add();
    Ok((id == 7).then(|| "Ada".to_owned()))
}

#[tokio::test]
async fn with_optional_it_is_remembered_that_there_is_nothing() {
    let (found, runs) = (cache(), Runs::default());
    for _ in 0..2 {
        assert_eq!(find(&found, runs.clone(), 8).await.unwrap(), None);
        assert_eq!(runs.count(), 1);
    }
    let ada = find(&found, runs.clone(), 7).await.unwrap();
    assert_eq!(ada.as_deref(), Some("Ada"));
    assert_eq!(runs.count(), 2);
}

#[mainstay::cached(cache = *texts, key = number)]
async fn text<N>(texts: Arc<Cache<String>>, number: N) -> Result<String>
where
    N: Display + Copy + Send + 'static,
{
    Ok(format!("{number}!"))
}

#[tokio::test]
async fn a_generic_function_is_cached_for_each_of_its_types() {
    let texts = Arc::new(cache());
    assert_eq!(text(Arc::clone(&texts), 7_u8).await.unwrap(), "7!");
    assert_eq!(text(Arc::clone(&texts), 0.5).await.unwrap(), "0.5!");
    let entry = texts.get("0.5").await.unwrap();
    assert_eq!(entry.as_deref(), Some("0.5!"));
}

static TOTALS: LazyLock<Cache<u32>> = LazyLock::new(cache);

#[mainstay::cached(cache = TOTALS, key = "all")]
async fn total(summand: u32) -> Result<u32> {
    Ok(summand + 1)
}

#[tokio::test]
async fn a_static_cache_keeps_one_value_under_a_fixed_key() {
    assert_eq!(total(1).await.unwrap(), 2);
    assert_eq!(total(5).await.unwrap(), 2);
}

#[mainstay::cached(cache = sums, key = [left, right])]
async fn sum(
    sums: &Cache<u32>,
    (left, right): (u32, u32),
    mut more: Vec<u32>,
    label: &'static str,
) -> Result<u32> {
    if label == "zero" {
        return Ok(0);
    }
    more.push(left);
    let last: u32 = "4"
        .parse()
        .map_err(|_| mainstay::Key::new("").unwrap_err())?;
    more.push(last);
    Ok(more.iter().sum::<u32>() + right)
}

#[tokio::test]
async fn a_body_returns_early_changes_its_arguments_and_keeps_statics() {
    let sums = cache();
    assert_eq!(sum(&sums, (1, 2), vec![3], "sum").await.unwrap(), 10);
    assert_eq!(sum(&sums, (2, 2), vec![3], "zero").await.unwrap(), 0);
}

#[mainstay::cached(cache = cache, key = [key, loader], with(typed = loader + 1, twice = key * 2))]
async fn clash(cache: &Cache<u32>, key: u32, loader: u32) -> Result<u32> {
    Ok(key + loader + typed + twice)
}

#[tokio::test]
async fn names_of_the_expansion_do_not_meet_those_of_the_function() {
    assert_eq!(clash(&cache(), 1, 10).await.unwrap(), 1 + 10 + 11 + 2);
}

#[mainstay::cached(cache = values, key = name, with(name = name.to_owned(), first = values.clone()))]
async fn nested(values: &Cache<String>, name: &str) -> Result<String> {
    let first = first.get_or_load("first", || async {
        Ok::<_, mainstay::Error>("1".to_owned())
    });
    Ok(format!("{} {name}", first.await?))
}

#[tokio::test]
async fn with_hands_over_owned_copies_under_the_names_of_references() {
    let values = cache();
    assert_eq!(nested(&values, "Ada").await.unwrap(), "1 Ada");
    assert_eq!(values.get("first").await.unwrap().as_deref(), Some("1"));
}
