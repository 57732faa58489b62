create operator class c default for type e using hash as
    operator 1 =, function 1 hashenum(anyenum);
