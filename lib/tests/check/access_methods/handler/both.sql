create function h(internal) returns index_am_handler language internal as 'bthandler';
