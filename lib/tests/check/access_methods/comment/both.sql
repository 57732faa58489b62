create access method a type index handler bthandler;
