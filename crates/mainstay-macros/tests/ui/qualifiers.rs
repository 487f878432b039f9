use mainstay::cache::Cache;

#[mainstay::cached(cache = names, key = id)]
const fn constant(names: &Cache<String>, id: u64) -> mainstay::Result<u64> {
    Ok(id)
}

#[mainstay::cached(cache = names, key = id)]
async unsafe fn dangerous(names: &Cache<String>, id: u64) -> mainstay::Result<String> {
    Ok(id.to_string())
}

fn main() {}
