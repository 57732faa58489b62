create foreign table t (a int) server s options (file 'a');
