use mainstay::cache::Cache;

#[mainstay::cached]
async fn both(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

#[mainstay::cached(cache = names)]
async fn key(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

#[mainstay::cached(key = id, optional)]
async fn cache(names: &Cache<String>, id: u64) -> mainstay::Result<Option<String>> {
    Ok(Some(id.to_string()))
}

fn main() {}
