create operator class c for type integer using btree as
    operator 1 <, function 1 btint4cmp(integer, integer);
alter operator family c using btree add operator 3 = (integer, integer),
    function 2 (integer, integer) btint4sortsupport(internal);
