create user mapping for public server s options (x '1', y '2');
