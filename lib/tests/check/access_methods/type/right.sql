create access method a type table handler heap_tableam_handler;
