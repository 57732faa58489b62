create foreign table t (a int) server s options (api_key 'geheim', file 'a');
