use mainstay::cache::Cache;

#[mainstay::cached(cache = names, key = id)]
async fn nothing(names: &Cache<String>, id: u64) {
    drop(id);
}

#[mainstay::cached(cache = names, key = id)]
async fn bare(names: &Cache<String>, id: u64) -> String {
    id.to_string()
}

#[mainstay::cached(cache = names, key = id, optional)]
async fn option(names: &Cache<String>, id: u64) -> Option<String> {
    Some(id.to_string())
}

#[mainstay::cached(cache = names, key = id)]
async fn tuple(names: &Cache<String>, id: u64) -> (u64, u64) {
    (id, id)
}

#[mainstay::cached(cache = names, key = id)]
async fn opaque(names: &Cache<String>, id: u64) -> mainstay::Result<impl ToString> {
    Ok(id)
}

fn main() {}
