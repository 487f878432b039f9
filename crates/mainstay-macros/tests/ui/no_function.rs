use mainstay::cache::Cache;

#[mainstay::cached(cache = names, key = id)]
struct Names {
    names: Cache<String>,
}

trait Directory {
    #[mainstay::cached(cache = self.names, key = id)]
    async fn name(&self, id: u64) -> mainstay::Result<String>;
}

fn main() {}
