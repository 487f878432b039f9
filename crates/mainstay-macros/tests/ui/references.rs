use mainstay::cache::Cache;

struct Names {
    cache: Cache<String>,
    prefix: String,
}

impl Names {
    #[mainstay::cached(cache = self.cache, key = id)]
    async fn of_self(&self, id: u64) -> mainstay::Result<String> {
        Ok(format!("{} {id}", self.prefix))
    }

    #[mainstay::cached(cache = self.cache, key = [prefix, id], with(own = self.prefix.clone()))]
    async fn of_arguments(&self, prefix: &str, id: &u64) -> mainstay::Result<String> {
        let text = prefix.to_owned() + &own;
        let number = || *id + 1;
        Ok(format!("{text} {}", number()))
    }
}

fn main() {}
