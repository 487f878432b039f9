use mainstay::cache::Cache;

#[mainstay::cached(cache = names, key = id)]
fn name(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

fn main() {}
