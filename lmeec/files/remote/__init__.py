"""Files in object stores and on web servers, to be read: places, ranges, retries, and a cache of whole files."""
