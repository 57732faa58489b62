alter trigger x on t depends on extension plpgsql;
