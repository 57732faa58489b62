create foreign table t (a int options ("key" 'true', token 'geheim', origin 'scott/geheim@h')) server s;
