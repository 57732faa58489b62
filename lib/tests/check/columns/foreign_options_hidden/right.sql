create foreign table t (a int options ("key" 'false')) server s;
