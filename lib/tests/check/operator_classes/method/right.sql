create operator class c for type integer using hash as
    operator 1 =, function 1 hashint4(integer);
