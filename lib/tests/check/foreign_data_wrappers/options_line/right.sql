create foreign data wrapper w options (x '1', y '2');
