create operator family f using gist;
create operator family f using btree;
create operator class f for type float8 using btree family f as
    operator 1 <, function 1 btfloat8cmp(float8, float8);
