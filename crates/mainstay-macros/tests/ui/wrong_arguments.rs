use mainstay::cache::Cache;

#[mainstay::cached(cache = names, key = id, ttl = 60)]
async fn unknown(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

#[mainstay::cached(cache = names, key = id, key = "all")]
async fn twice(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

#[mainstay::cached(cache = names, key = [])]
async fn no_parts(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

#[mainstay::cached(cache = names, key = (id, 1))]
async fn tuple(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

#[mainstay::cached(cache = names, key = id optional)]
async fn no_comma(names: &Cache<String>, id: u64) -> mainstay::Result<Option<String>> {
    Ok(Some(id.to_string()))
}

#[mainstay::cached(cache = names, key = id, with(first))]
async fn no_value(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

fn main() {}
