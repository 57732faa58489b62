create table t (a int, v varchar, constraint k exclude (a with =) where (v in ('a', 'b')));
