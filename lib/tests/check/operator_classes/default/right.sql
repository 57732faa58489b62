create operator class c for type e using hash as
    operator 1 =, function 1 hashenum(anyenum);
